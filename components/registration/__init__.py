"""Registration: the promotion rule, the model card, and the directory that is registered."""
