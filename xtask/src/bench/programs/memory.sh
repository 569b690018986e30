# Our reference plugin, which reads its whole file for each answer: what it is for is not speed.
# sizes: 1 10000
# gated: 1
# end: keystead agent stop
own memory memory "file=$HOME/memory-$COUNT/secrets" \
    "file=$HOME/memory-session/secrets locked=file:$HOME/password" 10000 10000
