"""A forgetful disk, and every state in which a power cut could leave it."""
