"""Scenes are found in every layout in use, and what is wrong with a folder is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoice_bench.datasets.simulate.run import SimulatedSource
from autoice_bench.errors import SceneError
from autoice_bench.formats.rtt_folder import SourceListing, find_scenes
from autoice_bench.official import OFFICIAL_TEST, WITHDRAWN

DMI = "20180607T184326_dmi"
CIS = "20190101T120000_cis"


def touch(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"12345")
    return folder


def subsets(listing: SourceListing) -> dict[str, str]:
    return {scene.scene_id: scene.subset for scene in listing.scenes}


def test_flat_root_with_test_data(tmp_path: Path) -> None:
    test = OFFICIAL_TEST[0]
    touch(
        tmp_path,
        f"{DMI}_prep.nc",
        f"{CIS}_prep.nc",
        f"test_data/{test}_prep.nc",
        f"test_data/{test}_prep_reference.nc",
    )
    listing = find_scenes(tmp_path)
    assert subsets(listing) == {test: "test", DMI: "train", CIS: "train"}
    assert listing.notes == ()
    scene = listing.scenes[0]
    assert scene.path == tmp_path / "test_data" / f"{test}_prep.nc"
    assert scene.reference == tmp_path / "test_data" / f"{test}_prep_reference.nc"
    assert scene.n_bytes == 5 + 5
    assert listing.scenes[1].reference is None
    assert listing.scenes[1].n_bytes == 5


def test_train_and_test_with_metadata(simulated_source: SimulatedSource) -> None:
    listing = find_scenes(simulated_source.path)
    specs = {str(spec.scene_id): spec for spec in simulated_source.specs}
    assert [scene.scene_id for scene in listing.scenes] == sorted(specs)
    for scene in listing.scenes:
        spec = specs[scene.scene_id]
        assert (scene.subset, scene.region) == (spec.subset, spec.region.name)
        assert (scene.reference is None) == (spec.subset == "train")


def test_nested_folders_are_searched_and_stores_are_not(tmp_path: Path) -> None:
    touch(
        tmp_path,
        f"a/b/c/{DMI}_prep.nc",
        f"x/test/deep/{CIS}_prep.nc",
        f"old.zarr/{DMI}_prep.nc",
        "a/notes.nc",
        "a/readme.txt",
    )
    listing = find_scenes(tmp_path)
    assert subsets(listing) == {DMI: "train", CIS: "test"}
    assert listing.notes == ()


def test_official_test_scene_counts_as_test_wherever_it_lies(tmp_path: Path) -> None:
    touch(tmp_path, f"train/{OFFICIAL_TEST[3]}_prep.nc")
    assert subsets(find_scenes(tmp_path)) == {OFFICIAL_TEST[3]: "test"}


@pytest.mark.parametrize("folder", ["test", "test_data"])
def test_any_scene_in_a_test_folder_counts_as_test(tmp_path: Path, folder: str) -> None:
    touch(tmp_path, f"{folder}/{DMI}_prep.nc", f"my_{folder}/{CIS}_prep.nc")
    assert subsets(find_scenes(tmp_path)) == {DMI: "test", CIS: "train"}


def test_a_parent_called_test_does_not_make_a_test_scene(tmp_path: Path) -> None:
    # The source folder and folders inside it count, not where the user keeps it.
    touch(tmp_path / "test" / "rtt", f"{DMI}_prep.nc")
    assert subsets(find_scenes(tmp_path / "test" / "rtt")) == {DMI: "train"}
    assert subsets(find_scenes(tmp_path / "test")) == {DMI: "test"}


def test_order_does_not_depend_on_the_layout(tmp_path: Path) -> None:
    touch(tmp_path, f"a/{CIS}_prep.nc", f"b/{DMI}_prep.nc")
    assert [scene.scene_id for scene in find_scenes(tmp_path).scenes] == [DMI, CIS]


def test_duplicate_scene_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc", f"copy/{DMI}_prep.nc")
    with pytest.raises(SceneError, match=f"scene {DMI}: found 2 files .*move the others away"):
        find_scenes(tmp_path)


def test_duplicate_reference_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc", f"a/{DMI}_prep_reference.nc", f"b/{DMI}_prep_reference.nc")
    with pytest.raises(SceneError, match=r"found 2 files .*_prep_reference\.nc"):
        find_scenes(tmp_path)


def test_withdrawn_scene_is_left_out_with_a_note(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc", f"{WITHDRAWN[0]}_prep.nc", f"x/{WITHDRAWN[0]}_prep.nc")
    listing = find_scenes(tmp_path)
    assert subsets(listing) == {DMI: "train"}
    assert len(listing.notes) == 1
    assert listing.notes[0].startswith(f"scene {WITHDRAWN[0]}: withdrawn by its authors")


def test_orphan_reference_is_noted(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc", f"test/{CIS}_prep_reference.nc")
    listing = find_scenes(tmp_path)
    assert subsets(listing) == {DMI: "train"}
    assert listing.notes == (
        f"reference {CIS}_prep_reference.nc: there is no {CIS}_prep.nc beside it; left out",
    )


@pytest.mark.parametrize("name", ["20181340T000000_dmi", "20180607T184326_xyz", "my_scene"])
def test_name_that_is_no_scene_is_noted(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"{DMI}_prep.nc", f"{name}_prep.nc")
    listing = find_scenes(tmp_path)
    assert subsets(listing) == {DMI: "train"}
    (note,) = listing.notes
    assert note.startswith(f"file {name}_prep.nc: its name is not that of a scene; left out: ")


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"no file named YYYYMMDDThhmmss_cis_prep\.nc or _dmi"):
        find_scenes(tmp_path)


def test_a_file_or_nothing_instead_of_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "scene.nc")
    with pytest.raises(SceneError, match="found a file; expected a folder"):
        find_scenes(tmp_path / "scene.nc")
    with pytest.raises(SceneError, match="found nothing; expected a folder"):
        find_scenes(tmp_path / "absent")


def test_linked_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    touch(tmp_path / "disk", f"{DMI}_prep.nc")
    source = touch(tmp_path / "rtt", f"train/{CIS}_prep.nc")
    (source / "more").symlink_to(tmp_path / "disk")
    (source / "train" / "up").symlink_to(source)
    (source / "zz-latest").symlink_to(source / "train")
    assert subsets(find_scenes(source)) == {DMI: "train", CIS: "train"}


def test_a_folder_that_cannot_be_listed_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, f"{DMI}_prep.nc", f"secret/{CIS}_prep.nc")
    listed = os.scandir

    def scandir(path: Any) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(SceneError, match="secret cannot be listed: Permission denied"):
        find_scenes(tmp_path)


def test_region_from_metadata_at_the_root_or_one_below(tmp_path: Path) -> None:
    touch(tmp_path, f"train/{DMI}_prep.nc", f"train/{CIS}_prep.nc")
    (tmp_path / "metadata.csv").write_text(
        "input_path,reference_path,date,ice_service,split,region_id\n"
        f"train/{DMI}_prep.nc,,2018,dmi,train,CentralEast\n"
        "train/other.nc,,2018,dmi,train,Nowhere\n",
        encoding="utf-8-sig",  # as spreadsheets write it
    )
    (tmp_path / "train" / "metadata.csv").write_text(
        f"input_path,region_id\n{CIS}_prep.nc, SGRDIMID \n{DMI}_prep.nc,\n"
    )
    regions = {scene.scene_id: scene.region for scene in find_scenes(tmp_path).scenes}
    assert regions == {DMI: "CentralEast", CIS: "SGRDIMID"}


def test_metadata_of_other_columns_tells_no_region(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc")
    (tmp_path / "metadata.csv").write_text("name,where\nx,y,z\n\n")
    assert find_scenes(tmp_path).scenes[0].region is None


def test_metadata_that_is_no_text_is_named(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc")
    (tmp_path / "metadata.csv").write_bytes(b"input_path\xff\xfe\n")
    with pytest.raises(SceneError, match=r"metadata\.csv cannot be read: .*expected CSV in UTF-8"):
        find_scenes(tmp_path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (f"{CIS}_prep (1).nc", f"rename it to {CIS}_prep.nc if it is that"),
        (f"{CIS}_prep.NC", f"rename it to {CIS}_prep.nc if it is that"),
        (f"{CIS}_PREP.nc", f"rename it to {CIS}_prep.nc if it is that"),
        (f"{CIS}_pre.nc", f"rename it to {CIS}_prep.nc if it is that"),
        (f"{CIS}.nc", f"rename it to {CIS}_prep.nc if it is that"),
        (f"{CIS}_prep_referense.nc", f"rename it to {CIS}_prep_reference.nc if it is that"),
        (f"{DMI}_prep - Copy.nc", f"{DMI}_prep.nc is there; remove one of them"),
        (f"{CIS}_prep.nc.crdownload", "an unfinished download; finish it or remove it"),
        (f"{CIS}_prep.nc.gz", "unpack it"),
        ("20180607T18432_dmi_prep.nc", "expected YYYYMMDDThhmmss_cis_prep.nc or _dmi_prep.nc"),
    ],
)
def test_file_passed_over_is_mentioned_with_what_to_do(
    tmp_path: Path, name: str, advice: str
) -> None:
    touch(tmp_path, f"{DMI}_prep.nc", "readme.txt", f"{CIS}_quicklook.png", "land_mask.nc")
    (tmp_path / name).write_bytes(b"x")
    listing = find_scenes(tmp_path)
    assert subsets(listing) == {DMI: "train"}
    (note,) = listing.notes
    assert note.startswith(f"file {name}: its name is not that of a scene; left out: {advice}")


def test_empty_file_of_another_name(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc")
    (tmp_path / f"{CIS}_prep (1).nc").touch()
    (note,) = find_scenes(tmp_path).notes
    assert note.endswith("left out: it is empty (0 bytes); download it again or remove it")


def test_many_files_passed_over_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc", *(f"{CIS}_prep ({n}).nc" for n in range(25)))
    notes = find_scenes(tmp_path).notes
    assert len(notes) == 11
    assert notes[-1] == "15 more files like these; left out"


def test_folder_of_misnamed_scenes_only(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.NC")
    with pytest.raises(SceneError, match=rf"no file named .*; found file {DMI}_prep\.NC: its name"):
        find_scenes(tmp_path)


def test_one_scene_file_with_its_reference(tmp_path: Path) -> None:
    touch(tmp_path, f"test/{DMI}_prep.nc", f"test/{DMI}_prep_reference.nc", f"test/{CIS}_prep.nc")
    path = tmp_path / f"test/{DMI}_prep.nc"
    (scene,) = find_scenes(path).scenes
    assert (scene.path, scene.subset) == (path, "test")
    assert scene.reference == path.with_name(f"{DMI}_prep_reference.nc")


def test_metadata_with_a_huge_field_is_one_line(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc")
    (tmp_path / "metadata.csv").write_text(f"input_path,region_id\n{'x' * 200_000},y\n")
    with pytest.raises(SceneError, match=r"metadata\.csv cannot be read: field larger") as raised:
        find_scenes(tmp_path)
    assert "\n" not in str(raised.value)


def test_metadata_with_a_byte_order_mark_and_paths_of_windows(tmp_path: Path) -> None:
    touch(tmp_path, f"{DMI}_prep.nc")
    text = f"input_path,region_id\ntrain\\{DMI}_prep.nc,CentralEast\n"
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8-sig")
    assert find_scenes(tmp_path).scenes[0].region == "CentralEast"
