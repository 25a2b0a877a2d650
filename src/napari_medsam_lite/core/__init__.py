"""The nouns: volumes, windows, prompts and the model frame, in numpy alone."""
