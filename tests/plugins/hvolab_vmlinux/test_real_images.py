"""Debian's kernels, where they were fetched: everything that hvolab reads of them, and how long that takes."""

from __future__ import annotations

import re

import pytest

from hvolab_kernel.code.listing import list_function, paravirtual_target
from hvolab_kernel.identify.features import features_of
from hvolab_vmlinux.containers.unwrap import unwrap
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel
from hvolab_vmlinux.symbols.fallback import symbols_by_vmlinux_to_elf
from hvolab_vmlinux.symbols.table import SymbolTable
from tests.kernel_images import IMAGES, images_directory

ALL = [image.name for image in IMAGES]
WITH_HVO = [name for name in ALL if not name.startswith("arm64")]


def of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("real_kernel", names, indirect=True)


@of(*ALL)
def test_an_image_is_read_whole(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["real_kernel"]
    architecture, release = name.rsplit("-", 1)
    kernel, symbols = real_kernel, real_kernel.symbols
    assert kernel.lacks == ()
    assert kernel.image.release.startswith(release.rstrip("x"))
    assert kernel.image.machine == {"x86_64": "EM_X86_64", "arm64": "EM_AARCH64", "riscv64": "EM_RISCV"}[architecture]
    assert len(symbols) > 90_000
    assert len(kernel.types) > 90_000
    banner = kernel.image.read(symbols.address("linux_banner"), 200)
    assert banner.startswith(f"Linux version {kernel.image.release} (".encode())
    assert kernel.types.size("page") == 64
    assert kernel.types.offset("page", "lru.prev") == 16


@of("x86_64-6.1", "x86_64-6.12")
def test_an_old_x86_kernel_has_its_per_cpu_data_at_zero(real_kernel: Kernel) -> None:
    (segment,) = (one for one in real_kernel.image.segments if one.per_cpu)
    assert segment.va == 0
    assert real_kernel.symbols.address("__per_cpu_start") == 0


@pytest.mark.parametrize(
    ("real_kernel", "release"),
    [
        ("x86_64-6.1", "6.1"),
        ("x86_64-6.12", "6.12"),
        ("riscv64-6.12", "6.12"),
        ("arm64-6.12-hvo", "6.12"),
        ("arm64-6.12-hvo-plain", "6.12"),
        ("x86_64-7.x", "7.x"),
        ("riscv64-7.x", "7.x"),
        ("arm64-6.12", None),
        ("arm64-7.x", None),
    ],
    indirect=["real_kernel"],
)
def test_features_name_the_release(real_kernel: Kernel, release: str | None) -> None:
    found = features_of(real_kernel)
    assert found.release == release
    assert found.summary.startswith("it has no HVO" if release is None else f"it has HVO as in {release}")


@of("arm64-6.12", "arm64-6.12-hvo", "arm64-7.x", "riscv64-6.12", "riscv64-7.x", "x86_64-6.12")
def test_pointers_in_the_image_point_at_what_the_kernel_means(real_kernel: Kernel) -> None:
    kernel = real_kernel
    pgd = kernel.symbols.address("init_mm") + kernel.types.offset("mm_struct", "pgd")
    root = {"EM_X86_64": "init_top_pgt"}.get(kernel.image.machine, "swapper_pg_dir")
    assert kernel.image.word(pgd) == kernel.symbols.address(root)


@of("x86_64-6.1", "x86_64-6.12", "x86_64-7.x")
def test_x86_stores_entries_through_its_paravirtual_operations(real_kernel: Kernel) -> None:
    for name in ("vmemmap_remap_pte", "vmemmap_restore_pte"):
        (line,) = list_function(real_kernel, name).stores
        assert line.stores_entry == "a call through pv_ops.mmu.set_pte"
        assert paravirtual_target(real_kernel, line) == "native_set_pte"
    (line,) = list_function(real_kernel, "native_set_pte").stores
    assert "through the parameter pte_t *ptep" in line.stores_entry


@of("riscv64-6.12", "riscv64-7.x")
def test_riscv_stores_entries_where_it_was_told_to(real_kernel: Kernel) -> None:
    for name in ("vmemmap_remap_pte", "vmemmap_restore_pte"):
        assert {line.stores_entry for line in list_function(real_kernel, name).stores} == {
            "stores eight bytes through the parameter pte_t *pte"
        }
    assert len(list_function(real_kernel, "vmemmap_pmd_entry").stores) >= 2


@of("arm64-6.12")
def test_arm64_publishes_an_entry_that_it_stores(real_kernel: Kernel) -> None:
    stores = list_function(real_kernel, "vmemmap_pte_populate").stores
    assert any("followed by dsb ishst; isb" in line.stores_entry for line in stores)


@of("arm64-6.12-hvo", "arm64-6.12-hvo-plain", "arm64-6.12-hvo-16K", "arm64-6.12-hvo-64K")
def test_arm64_stores_entries_where_it_was_told_to(real_kernel: Kernel) -> None:
    for name in ("vmemmap_remap_pte", "vmemmap_restore_pte"):
        stores = list_function(real_kernel, name).stores
        assert any("through the parameter pte_t *pte" in line.stores_entry for line in stores)


@of(*WITH_HVO)
def test_calls_in_hvo_have_names(real_kernel: Kernel) -> None:
    name = next(
        one for one in ("hugetlb_vmemmap_restore_folio", "hugetlb_vmemmap_restore") if one in real_kernel.symbols
    )
    words = [found.words for line in list_function(real_kernel, name).lines for found in line.references]
    assert any(
        re.fullmatch(r"__hugetlb_vmemmap_restore_folio|vmemmap_remap_range|static_key_slow_dec", one) for one in words
    )


@pytest.mark.slow
@of("x86_64-6.1", "x86_64-6.12", "riscv64-6.12", "arm64-6.12", "x86_64-7.x")
def test_symbols_are_those_that_vmlinux_to_elf_finds(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("vmlinux_to_elf", reason="pip install 'hvolab[kernel-fallback]'")
    content = (images_directory() / f"{request.node.callspec.params['real_kernel']}.image").read_bytes()
    other = symbols_by_vmlinux_to_elf(unwrap(content, "here").content)
    assert other is not None

    def listed(table: SymbolTable) -> list[tuple[int, str, int]]:
        return sorted(zip(table.addresses.tolist(), table.names, table.letters.tolist(), strict=True))

    assert listed(real_kernel.symbols) == listed(other)


@pytest.mark.slow
@of(*ALL)
def test_later_openings_take_well_under_a_second(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    path = images_directory() / f"{request.node.callspec.params['real_kernel']}.image"
    timings = {
        one.step: one.seconds
        for one in min((open_kernel(path) for _ in range(3)), key=lambda k: k.timings[-1].seconds).timings
    }
    assert real_kernel.image.digest
    assert timings["total"] < 1


def test_an_image_that_the_caller_gives_is_read_and_its_hvo_named(given_kernel: Kernel) -> None:
    assert given_kernel.image.segments
    found = features_of(given_kernel)
    assert found.summary
    if found.has("optimizes folios"):
        listing = list_function(given_kernel, "hugetlb_vmemmap_optimize_folio")
        assert listing.lines
