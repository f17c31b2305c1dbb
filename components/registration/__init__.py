"""Registration: the promotion rule, the model card, and the directory of the registered model."""
