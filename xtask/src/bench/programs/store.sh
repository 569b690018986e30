# Our encrypted file.
# sizes: 1 1000 10000 100000 1000000
# gated: 1 10000
# end: keystead agent stop
own store store "path=$HOME/store-$COUNT key-file=$HOME/store-$COUNT.key" "path=$HOME/store-session" 1000000 100000
