"""The providers of chat completions: one HTTP client, two dialects, resilience, a simulator."""
