"""What the LLM is told and what it must answer: one module a prompt, each with its version."""
