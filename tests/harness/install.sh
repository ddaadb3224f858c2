#!/bin/sh
# Gets the system programs the tests use: a MariaDB server, PgBouncer, browsers, Prometheus, and the
# proxies of deploy/ (PostgreSQL comes as a wheel). With the argument `clients` or
# `machines` also what that target needs.
# It installs only what is missing, only as root, only through apt-get. Whatever cannot be had is
# named here; its tests then skip with the same reason, and nothing fails for it.
# mariadb-server-core is the bare programs: no service is set up or started on this machine.
set -u

have() {
    for program in "$@"; do
        PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$program" >/dev/null && return 0
    done
    return 1
}

updated=no
get() { # name, packages…
    name=$1
    shift
    if [ "$(id -u)" != 0 ]; then
        echo "left out: $name (not installed, and only root can; package: $1)"
        return
    elif ! have apt-get; then
        echo "left out: $name (not installed, and there is no apt-get here)"
        return
    fi
    if [ "$updated" = no ]; then
        updated=yes
        quietly apt-get update
    fi
    echo "installing $name: $*"
    quietly apt-get install -y --no-install-recommends "$@" ||
        echo "left out: $name (apt-get could not install $*)"
}

quietly() { # its output only when it fails
    output=$(DEBIAN_FRONTEND=noninteractive "$@" 2>&1 </dev/null) || {
        echo "$output" | tail -5
        return 1
    }
}

have mariadbd || get MariaDB mariadb-server-core mariadb-client-core
# This package has no part without a service: what it set up just now is stopped again.
have pgbouncer || {
    get PgBouncer pgbouncer
    if [ -d /run/systemd/system ] && have pgbouncer; then quietly systemctl disable --now pgbouncer; fi
}
# Without its recommended packages it would have no font at all.
have chromium chromium-browser google-chrome google-chrome-stable ||
    get Chromium chromium fonts-liberation
have firefox-esr firefox || get Firefox firefox-esr
if [ "${1:-}" = clients ]; then
    have java || get Java default-jdk-headless
    have php || get PHP php-cli
fi
[ "${1:-}" != machines ] || [ -e /usr/lib/*/faketime/libfaketime.so.1 ] || get libfaketime libfaketime

# These packages would set up services, so they are only unpacked, with what they need.
proxies=$(dirname "$0")/../../.venv/proxies
unpack() { # name, program, package
    have "$2" || [ -e "$proxies/usr/sbin/$2" ] || [ -e "$proxies/usr/bin/$2" ] && return
    if [ "$(id -u)" != 0 ] || ! have apt-get || ! have dpkg-deb; then
        echo "left out: $1 (not installed, and only root can get it with apt-get; package: $3)"
        return
    fi
    [ "$updated" = yes ] || quietly apt-get update
    updated=yes
    echo "unpacking $1: $3"
    packages=$(mktemp -d) && mkdir -p "$packages/partial" "$proxies"
    if quietly apt-get install -y --no-install-recommends --download-only \
        -o Dir::Cache::Archives="$packages" -o APT::Sandbox::User=root "$3"; then
        for package in "$packages"/*.deb; do
            dpkg-deb -x "$package" "$proxies"
        done
    else
        echo "left out: $1 (apt-get could not download $3)"
    fi
    rm -rf "$packages"
}
unpack nginx nginx nginx
unpack Caddy caddy caddy
unpack HAProxy haproxy haproxy
unpack Apache apache2 apache2-bin
unpack Prometheus prometheus prometheus
exit 0
