#!/bin/sh
# A container's first process gets no default signal handling: TERM has to be passed on, or stopping a task takes
# its whole stop timeout. httpd opens its port as root, which low ports may need, and then gives that right up.
trap 'kill $! 2>/dev/null' EXIT
trap 'exit 143' TERM INT
httpd -f -p "$PORT" -u 65534:65534 -h /www &
wait
