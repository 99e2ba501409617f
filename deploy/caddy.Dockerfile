# Caddy for a user who is not root: a folder for certificates that is that user's, and no file capability, which
# would keep the program from starting in a container that may not have it. Docker lets anybody bind ports below 1024.
FROM caddy:2.11.7-alpine
RUN setcap -r /usr/bin/caddy && install -d -o 10001 -g 10001 /var/lib/caddy
USER 10001:10001
