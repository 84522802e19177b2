"""Work outside the script: one file for each kind of job, over the folder of their workers."""
