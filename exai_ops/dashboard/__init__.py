"""The page at ``/dashboard``: static files, and what they are served as. It imports nothing of ours."""
