"""Work outside the script: its queues, its register, and one file for each kind of job."""
