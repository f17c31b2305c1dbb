"""The LLaMA decoder, its loss, and its Hugging Face form."""
