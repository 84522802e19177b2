"""The kernel on the Extract page: what is asked, and a first look at what comes."""
