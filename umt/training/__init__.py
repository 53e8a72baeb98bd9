"""The one training engine: thin glue over mmengine's Runner."""
