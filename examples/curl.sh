#!/usr/bin/env bash
# The same with curl alone: the book page by page, one account by its tag, and a file for a spreadsheet.
#
#     export CHURNML_URL=http://127.0.0.1:3000 CHURNML_KEY=churnml_…
#     ./curl.sh [FOLDER]
set -euo pipefail
url="${CHURNML_URL:-http://127.0.0.1:3000}"
folder="${1:-.}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

# The key goes in through a file: an argument can be read by everybody on the machine. curl itself waits and
# asks again on 429 and 503, as long as Retry-After says.
printf 'silent\nshow-error\nfail-with-body\nretry = 5\n' >"$scratch/config"
if [[ -n "${CHURNML_KEY:-}" ]]; then
    printf 'header = "Authorization: Bearer %s"\n' "$CHURNML_KEY" >>"$scratch/config"
fi
ask() { curl --config "$scratch/config" "$@"; }

# Page by page: the Link header says where the next one is.
next='/v1/accounts?sort=mrr_at_risk&limit=100'
pages=0
while [[ -n "$next" ]]; do
    pages=$((pages + 1))
    ask --dump-header "$scratch/headers" --output "$folder/page_$pages.json" "$url$next"
    next="$(sed -n 's/^[Ll]ink: <\([^>]*\)>; rel="next".*/\1/p' "$scratch/headers" | tr -d '\r')"
done
echo "$pages pages: page_1.json …"

# One account, and then only if it changed: --etag-save keeps its tag, --etag-compare sends it.
first="$(grep -o '"account_id":"[^"]*"' "$folder/page_1.json" | head -n 1 | cut -d '"' -f 4 || true)"
if [[ -n "$first" ]]; then
    ask --etag-save "$scratch/tag" --output "$folder/account.json" "$url/v1/accounts/$first"
    status="$(ask --etag-compare "$scratch/tag" --output "$scratch/again" \
        --write-out '%{http_code}' "$url/v1/accounts/$first")"
    echo "account $first: account.json; asked again: $status"
fi

# The accounts of the two highest tiers, for a spreadsheet or an import.
ask --header 'Accept: text/csv' --output "$folder/urgent.csv" \
    "$url/v1/accounts?tier=high&tier=critical&sort=mrr_at_risk"
echo "$(($(wc -l <"$folder/urgent.csv") - 1)) lines of urgent accounts: urgent.csv"
