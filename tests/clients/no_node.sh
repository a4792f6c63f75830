#!/usr/bin/env bash
# Stands in for `node` where there is none.
echo "skipped: node not found; install nodejs and npm (tools/packages.txt, section [test])"
exit 77
