"""The process in which LLMRouter itself runs: it trains, or decides, and is gone.

    python -m mlops.library train [--keep] FOLDER...
    python -m mlops.library decide QUERIES FOLDER...

The library takes hundreds of megabytes, unpickles what it loads, prints what it likes and changes
`sys.path`; so it is imported nowhere else. A folder holds one request (`request.py`) and gets its
result: `result.npz` and `result.json`.
"""
