#!/usr/bin/env bash
# Makes the key and the token that counted cases have (src/counters/key.pem, src/counters/token): the same bytes in every
# build, so that two builds do the same work. The private half of the key is thrown away. Needed again only where the claims
# of the service's tokens change (src/auth/claims.rs). Needs OpenSSL.
#
# usage: ci/counted-token.sh
set -euo pipefail
cd "$(dirname "$0")/../src/counters"

private=$(mktemp)
trap 'rm -f "$private"' EXIT
openssl genrsa -out "$private" 2048 2>/dev/null
openssl rsa -in "$private" -pubout -out key.pem 2>/dev/null

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# From 2020 to 2100. The members, and their order, are those of the tokens that the suite mints.
header='{"typ":"JWT","alg":"RS256"}'
claims='{"sub":"ingester-perf","type":"service_account","role":"admin","name":"ingester-perf",'
claims+='"jti":"00000000-0000-4000-8000-000000000000","iat":1577836800,"exp":4102444800,"nbf":1577836800,'
claims+='"scope":"files:write","client_id":"ingester-perf"}'
message=$(printf %s "$header" | base64url).$(printf %s "$claims" | base64url)
signature=$(printf %s "$message" | openssl dgst -sha256 -sign "$private" | base64url)
printf '%s.%s\n' "$message" "$signature" >token
