"""Alignment (DeepSeek LLM, section 4): supervised fine-tuning on conversations, then direct preference optimisation."""
