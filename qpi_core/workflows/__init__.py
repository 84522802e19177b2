"""From the files of one map, many maps or a stack to their results in folders."""
