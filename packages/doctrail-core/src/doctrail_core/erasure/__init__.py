"""What may go and what must stay: erasing documents and users, retention, holds, and the review of what is affected."""
