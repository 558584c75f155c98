#!/bin/sh
# From data to a router in service. Arguments are files of further rows, as `collect` writes them.
#
# BUNDLE: where the gateway takes its router from: a .tar, or s3://bucket/key.
set -eu
cd "$(dirname "$0")"
bundle=${BUNDLE:-build/router.tar}

mkdir -p build private
test -f private/router-key.pem || trunkline bundle keygen private/router-key
cp private/router-key.pub.pem build/
export TRUNKLINE_BUNDLE_SIGNING_KEY=private/router-key.pem

trunkline-mlops prepare data/routing.jsonl.gz "$@" \
    --llm-data data/llm_candidates.json --output build/prepared
trunkline-mlops train --config train.yaml --output build/candidate.tar
trunkline-mlops evaluate build/candidate.tar --data build/prepared --output build/report

# Ends with 1, and leaves the router in service where it is, unless the new one is as good. A hundred
# test queries tell no finer than this margin; with thousands, leave it at the default.
trunkline-mlops compare "$bundle" build/candidate.tar --data build/prepared --margin 0.1 --replace
