// OpenAI's Node SDK against a gateway: node openai.mjs BASE_URL KEY. Prints what it was told.
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello there" }];

const chat = await client.chat.completions.create({ model: "gpt", messages });

let streamed = "";
for await (const chunk of await client.chat.completions.create({
  model: "gpt",
  messages,
  stream: true,
})) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
}

const embedded = await client.embeddings.create({ model: "embedder", input: "Hello" });

let unknown = null;
try {
  await client.chat.completions.create({ model: "nobody", messages });
} catch (error) {
  unknown = { status: error.status, code: error.code };
}

console.log(
  JSON.stringify({
    chat: chat.choices[0].message.content,
    streamed,
    embedding: embedded.data[0].embedding.length,
    unknown,
  }),
);
