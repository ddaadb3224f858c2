#!/bin/sh
# Gets nginx with nchan for `make bench`: Debian's packages, unpacked into the given folder and used
# from there. Nothing is installed and no service is set up. A download that fails is reported here,
# and the benchmark leaves nchan out.
set -u
folder=$1
module=usr/lib/nginx/modules/ngx_nchan_module.so

{ [ -e "/$module" ] || [ -e "$folder/$module" ]; } && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "left out: nchan (not installed, and there is no apt-get here)"
    exit 0
fi
echo "getting nchan: nginx libnginx-mod-nchan"
packages=$(mktemp -d) || exit 0
cd "$packages" || exit 0
get() { apt-get -o APT::Sandbox::User=root download nginx libnginx-mod-nchan; }
output=$(get 2>&1 || { [ "$(id -u)" = 0 ] && apt-get update 2>&1 && get 2>&1; }) || {
    echo "$output" | tail -5
    echo "left out: nchan (apt-get could not download it)"
}
for package in ./*.deb; do
    [ -e "$package" ] && dpkg-deb -x "$package" "$folder"
done
rm -rf "$packages"
exit 0
