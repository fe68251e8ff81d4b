"""What a check says, its grade, the gates that are set on it, and how it differs from an earlier one."""
