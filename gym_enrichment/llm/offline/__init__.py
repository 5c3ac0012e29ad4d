"""The offline engine: answers as the model would, from rules, without a network or a key."""
