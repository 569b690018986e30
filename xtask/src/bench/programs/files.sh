# Our directory of files.
# sizes: 1 10000
# gated: 1
own files files:read-write "folder=$HOME/files-$COUNT" '' 10000 10000
