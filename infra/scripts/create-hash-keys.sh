#!/bin/sh
# Create the secret of the hash keys, if the key vault has none. The keys never leave the vault: nothing is printed.
# A new key for a vault that has one is put before the old ones by hand: docs/privacy.md.
set -eu

vault="${AZURE_KEY_VAULT_NAME:?set AZURE_KEY_VAULT_NAME to the name of the key vault, an output of the deployment}"
secret="${FLEET_HASH_KEYS_SECRET:-fleet-hash-keys}"

found=$(az keyvault secret list --vault-name "$vault" --query "[?name=='$secret'] | length(@)" --output tsv)
if [ "$found" != 0 ]; then
  echo "The key vault $vault has the hash keys already."
  exit 0
fi
file=$(mktemp)
trap 'rm -f "$file"' EXIT
chmod 600 "$file"
printf '%sa=%s' "$(date -u +%Y)" "$(openssl rand -base64 32)" > "$file"
az keyvault secret set --vault-name "$vault" --name "$secret" --file "$file" --encoding utf-8 --output none
echo "The hash keys are in the key vault $vault. Without them nobody can tell who was erased: do not delete them."
