"""The record of counted documents: pages, partials, versions, shards, generations, and the fold over them."""
