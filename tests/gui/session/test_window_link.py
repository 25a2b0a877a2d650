import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.window_link import WindowLink
from napari_medsam_lite.gui.viewer.canvas_text import _overlay

CT = np.random.default_rng(0).integers(-1000, 1000, (8, 20, 30), np.int16)
MR = np.random.default_rng(1).gamma(2, 0.1, (8, 20, 30)).astype(np.float32)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def state():
    return SessionState()


@pytest.fixture
def link(viewer, state):
    link = WindowLink(viewer, state)
    link.open()
    yield link
    link.close()


@pytest.fixture
def choose(viewer, state):
    """Add an image, and choose it as the dock does."""

    def choose(data, **options):
        image = viewer.add_image(data, **options)
        state.images = (*state.images, image)
        state.image = image
        return image

    return choose


@pytest.fixture
def ct(link, choose):
    return choose(CT)


def test_a_window_that_is_chosen_is_shown_and_the_voxels_stay(link, state, ct):
    before = ct.data.copy()
    for window, limits in (("lung", (-1350, 150)), ("40,400", (-160, 240)), ("none", None)):
        shown = tuple(ct.contrast_limits)
        state.window = window
        assert tuple(ct.contrast_limits) == (limits or shown)
        assert state.window == window
    np.testing.assert_array_equal(ct.data, before)
    assert state.is_problem and "a window is needed" in state.message


def test_contrast_limits_changed_in_napari_are_followed(link, state, ct):
    told = []
    link.moved.connect(told.append)
    state.window = "lung"
    ct.contrast_limits = (0, 100)
    assert state.window == "as shown"
    assert told == [(-600, 1500), (50, 100)]
    state.window = "as shown"
    assert tuple(ct.contrast_limits) == (0, 100)


def test_level_and_width_are_a_window(link, state, ct):
    link.choose(50, 350)
    assert state.window == "50,350"
    assert tuple(ct.contrast_limits) == (-125, 225)
    assert link.shown == (50, 350)
    link.choose(0.123456789, 1e-3)
    assert state.window == "0.123457,0.001"
    with pytest.raises(UnsupportedImageError, match="positive width"):
        link.choose(50, 0)


def test_windows_by_number(link, state, ct):
    found = []
    for number in range(1, 8):
        link.choose_number(number)
        found.append(state.window)
    assert found == ["abdomen", "lung", "bone", "brain", "mediastinum", "liver", "soft tissue"]


def test_every_change_is_told_once(link, state, ct):
    """No loop: neither side answers the other's answer."""
    windows, limits, told = [], [], []
    ct.contrast_limits_range = (-2000, 2000)
    state.events.window.connect(windows.append)
    ct.events.contrast_limits.connect(lambda event: limits.append(1))
    link.moved.connect(told.append)
    state.window = "bone"
    assert (windows, len(limits), told) == (["bone"], 1, [(400, 1800)])
    ct.contrast_limits = (0, 100)
    assert (windows, len(limits), len(told)) == (["bone", "as shown"], 2, 2)


def test_images_that_nobody_has_looked_at_are_shown_as_auto_has_them(link, state, choose):
    assert tuple(choose(CT).contrast_limits) == (-160, 240)
    low, high = choose(MR).contrast_limits
    assert 0 < low < high < MR.max()
    assert state.window == "auto"
    eight_bit = choose((CT // 8 + 128).clip(0, 255).astype(np.uint8))
    assert tuple(eight_bit.contrast_limits) == (0, 255)


def test_contrast_limits_that_someone_chose_stay_until_a_window_is_chosen(link, state, choose):
    image = choose(CT, contrast_limits=(-200, 300))
    assert tuple(image.contrast_limits) == (-200, 300)
    assert state.window == "auto"
    state.events.window.emit("auto", "auto")
    assert tuple(image.contrast_limits) == (-160, 240)


def test_every_image_keeps_its_window(link, state, choose):
    first, second = choose(CT), choose(CT.copy())
    state.window = "lung"
    state.image = first
    assert state.window == "auto" and tuple(first.contrast_limits) == (-160, 240)
    first.contrast_limits = (0, 10)
    state.image = second
    assert state.window == "lung" and tuple(second.contrast_limits) == (-1350, 150)
    state.image = first
    assert state.window == "as shown" and tuple(first.contrast_limits) == (0, 10)
    second.contrast_limits = (0, 20)
    assert state.window == "as shown" and link.shown == (5, 10), "of the one that is chosen"


def test_a_colour_image_has_no_window_to_show(link, state, choose):
    choose(CT)
    choose(np.zeros((20, 30, 3), np.uint8), rgb=True)
    assert link.shown is None
    state.window = "lung"
    link.preview(40, 400)


@pytest.mark.parametrize(
    ("data", "rgb"),
    [(np.zeros((4, 20, 30, 3), np.uint8), True), (np.full((4, 20, 30), np.nan, np.float32), False)],
)
def test_an_image_that_cannot_be_segmented_can_be_looked_at(link, state, choose, data, rgb):
    choose(data, rgb=rgb, contrast_limits=(0, 1))
    state.window = "mr"
    state.window = "auto"


def test_a_flat_and_a_one_valued_image_do_no_harm(link, state, choose):
    choose(CT[0])
    assert link.shown == (40, 400)
    black = choose(np.zeros((3, 20, 30), np.float32))
    state.window = "mr"
    low, high = black.contrast_limits
    assert low < high


def test_a_film_and_scales_are_judged_too(link, choose):
    assert tuple(choose(np.stack([CT, CT])).contrast_limits) == (-160, 240)
    scales = choose([CT, CT[:, ::2, ::2]], multiscale=True)
    assert tuple(scales.contrast_limits) == (-160, 240)


def test_a_ct_window_of_a_lazy_image_reads_nothing(link, state, choose):
    dask = pytest.importorskip("dask.array")
    reads = []
    lazy = dask.from_array(CT, chunks=(1, 20, 30)).map_blocks(
        lambda block: reads.append(1) or block, dtype=CT.dtype, meta=CT[:0]
    )
    choose(lazy, contrast_limits=(0, 100))
    reads.clear()
    for window in ("lung", "40,400"):
        state.window = window
    assert link.shown == (40, 400)
    assert reads == []


def test_a_lazy_image_is_looked_at_once(link, state, choose):
    dask = pytest.importorskip("dask.array")
    reads = []
    lazy = dask.from_array(np.tile(CT, (9, 1, 1)), chunks=(1, 20, 30)).map_blocks(
        lambda block: reads.append(1) or block, dtype=CT.dtype, meta=CT[:0]
    )
    image = Image(lazy, contrast_limits=(-1000, 1000))
    reads.clear()
    state.image = image
    assert link.shown == (40, 400)
    state.window = "mr"
    assert len(reads) == 5


def test_both_numbers_stand_on_the_canvas_while_the_dock_is_open(link, viewer, state, ct):
    overlay = _overlay(viewer)
    assert overlay.text == "L 40  W 400" and overlay.visible
    ct.contrast_limits = (0.25, 1.5)
    assert overlay.text == "L 0.875  W 1.25"
    link.close()
    assert overlay.text == "" and not overlay.visible
    link.open()
    assert overlay.text == "L 0.875  W 1.25"


def test_a_preview_is_shown_and_not_chosen(link, state, ct):
    state.window = "lung"
    link.preview(100, 200)
    assert link.shown == (100, 200) and state.window == "lung"


def test_after_close_neither_side_moves_the_other(link, viewer, state, ct):
    drags = len(viewer.mouse_drag_callbacks)
    link.close()
    assert len(viewer.mouse_drag_callbacks) == drags - 1
    state.window = "lung"
    assert tuple(ct.contrast_limits) == (-160, 240)
    ct.contrast_limits = (0, 10)
    assert state.window == "lung"
    link.open()


def test_an_image_that_is_gone_is_forgotten(link, state, ct):
    state.window = "lung"
    state.images = ()
    state.image = None
    assert link.shown is None and link._windows == {}


def test_mr_takes_percentiles_by_its_modality_though_it_may_look_like_ct(link, state, viewer):
    """By its voxels alone it would be taken for CT."""
    data = np.random.default_rng(0).integers(-1000, 200, (4, 30, 30)).astype(np.int16)
    limits = []
    for modality in ("", "MR"):
        mr = viewer.add_image(data, metadata={"medsam_lite": {"modality": modality}})
        state.images, state.image = (mr,), mr
        limits.append(tuple(mr.contrast_limits))
    assert limits[0] == (-160, 240)
    assert limits[1] == pytest.approx(np.percentile(data, [0.5, 99.5]), abs=1)
