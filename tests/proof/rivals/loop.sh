#!/usr/bin/env bash
# Creates a sub-account for each name in names.txt that accounts.csv does not have, and adds it there:
# name,login,key,password. Run it again after an error.
set -euo pipefail
umask 077
touch accounts.csv
headers="api-login: $OCTOPUSH_API_LOGIN
api-key: $OCTOPUSH_API_KEY
content-type: application/json"

while read -r name; do
    if grep -q "^\"$name\"," accounts.csv; then
        continue
    fi
    PASSWORD=$(head -c 18 /dev/urandom | base64)
    export PASSWORD
    body=$(jq -n --arg name "$name" '{first_name: $name, last_name: "Shop", password: env.PASSWORD, callbacks: {}}')
    answer=$(curl --silent --show-error --fail --max-time "${TIMEOUT:-30}" --retry 3 --retry-delay 1 \
        --header @<(echo "$headers") --data @<(echo "$body") "$OCTOPUSH_API_URL/subaccount/create")
    jq -r --arg name "$name" '[$name, .api_login, .api_key, env.PASSWORD] | @csv' <<<"$answer" >>accounts.csv
    echo "created $name"
done <names.txt
