"""From a folder of result files to numbers: each module reads one kind of results and applies one room of protocols."""
