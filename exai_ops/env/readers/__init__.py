"""What each reader of a dotenv file makes of it."""
