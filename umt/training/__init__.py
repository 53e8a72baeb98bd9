"""The training engine: thin glue over mmengine's Runner."""
