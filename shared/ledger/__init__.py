"""What has been counted: ledger pages, partials, versions, shards, generations, and the fold over them."""
