"""The LLaMA decoder, its loss, and reading and writing it in Hugging Face's format."""
