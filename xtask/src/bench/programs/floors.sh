# The least that a program of this kind can cost.
# sizes: 1 1000000
if [ "$COUNT" = 1 ]; then
    printf %s "$VALUE" >value
    cp "$PLUGIN" plugin.so
    row one floor instructions "$VALUE" 'cat FILE' cat value
    row one floor instructions - 'hello world in Rust' hello
    row one floor instructions - 'hello world + dlopen of our plugin' dlopen ./plugin.so
fi
bare_sqlite "$COUNT.sqlite" make "$COUNT"
row "$READ" floor instructions "$VALUE" "bare SQLite, 1 of $SHOWN" bare_sqlite "$COUNT.sqlite" get "$NAME"
if [ "$COUNT" = 1 ]; then
    row write floor instructions - 'bare SQLite' bare_sqlite 1.sqlite set written "$VALUE"
fi
