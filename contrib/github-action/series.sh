#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Write the patches of BASE..HEAD that touch mm/hugetlb_vmemmap.[ch], and mm/ of BASE, into DIR: series.sh BASE DIR
set -euo pipefail
base=$1 folder=$2
files=(mm/hugetlb_vmemmap.c mm/hugetlb_vmemmap.h)

rm -rf "$folder"
mkdir -p "$folder/series" "$folder/base"
git format-patch --quiet --no-signature -o "$folder/series" "$base..HEAD" -- "${files[@]}"
git archive "$base" mm | tar -x -C "$folder/base"
patches=$(find "$folder/series" -name '*.patch' | wc -l)
echo "patches=$patches" >>"${GITHUB_OUTPUT:-/dev/stdout}"
if ((patches == 0)); then
    echo "No patch of $base..HEAD touches ${files[*]}: hvolab has nothing to run." \
        >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
fi
