#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Run what series.sh wrote into DIR, and add the report to the job's summary: run.sh IMAGE HEADERS DIR [ARGUMENT]...
# Exit code: that of hvolab patch-test.
set -uo pipefail
image=$1 headers=$2 folder=$3
shift 3

hvolab patch-test "$image" "$folder"/series/*.patch --headers "$headers" --file "$folder/base/mm/hugetlb_vmemmap.c" \
    "$@" 2>&1 | tee "$folder/report.txt"
code=${PIPESTATUS[0]}
{
    printf '## hvolab patch-test: exit code %s\n\n```text\n' "$code"
    cat "$folder/report.txt"
    printf '```\n'
} >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
exit "$code"
