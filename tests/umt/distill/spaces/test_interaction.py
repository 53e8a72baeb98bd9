"""Gradient paths (which channel reaches which), widths, switches, and errors of the interaction modules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from umt.backbones.contract import Features
from umt.distill.recipe import InteractionSpec
from umt.distill.spaces.cnn_blocks import ConvBlock, chunk_of, grouped, ungrouped
from umt.distill.spaces.interaction import InteractionModules
from umt.distill.spaces.shapes import SpaceShape, StudentShape
from umt.distill.spaces.vit_blocks import AttentionBlock
from umt.errors import UMTError

SPACES = [SpaceShape("cls", 40, 24), SpaceShape("mae", 32, 32), SpaceShape("dino", 40, 48)]
CNN = StudentShape(width=32, pooled=32, has_cls=False)
VIT = StudentShape(width=32, pooled=32, has_cls=True)


def reached(block: nn.Module, spaces: int, width: int, token_width: int) -> Tensor:
    """Boolean [M, 2, M, 2]: do the (features, token) of a space depend on the (features, token) of another?"""
    side = 3
    tokens = torch.randn(1, side * side, spaces, width + token_width, dtype=torch.float64, requires_grad=True)
    out = block.double()(tokens.flatten(2), (side, side)).view_as(tokens)
    parts = (slice(0, width), slice(width, None))
    found = torch.zeros(spaces, 2, spaces, 2, dtype=torch.bool)
    for space in range(spaces):
        for part, channels in enumerate(parts):
            # every channel must be reached, so that no part of the features is left out of the exchange
            grads = [
                torch.autograd.grad(out[0, 4, space, channel], tokens, retain_graph=True)[0]
                for channel in range(*channels.indices(width + token_width))
            ]
            for other in range(spaces):
                for source, there in enumerate(parts):
                    hit = [bool(grad[0, :, other, there].abs().max() > 0) for grad in grads]
                    found[space, part, other, source] = all(hit)
    return found


def without_norm(block: ConvBlock) -> ConvBlock:
    """A norm over channels leaks a little of everything into everything, and would hide a fault."""
    block.norm = nn.Identity()  # type: ignore[assignment]
    return block


@pytest.mark.parametrize(
    ("spaces", "width", "token_width", "groups"), [(1, 16, 8, 4), (2, 8, 8, 8), (3, 32, 16, 8), (5, 12, 24, 4)]
)
def test_a_cross_space_module_connects_features_and_token_of_all_pairs_of_spaces(
    spaces: int, width: int, token_width: int, groups: int
) -> None:
    block = without_norm(ConvBlock(spaces, width, token_width, groups))
    assert reached(block, spaces, width, token_width).all()


def test_the_formulas_own_channel_order_would_connect_nothing() -> None:
    block = without_norm(ConvBlock(3, 32, 16, 8))
    block.chunk = 144 // 8  # each group takes its turn once: consecutive channels
    assert not reached(block, 3, 32, 16).all()


def test_an_intra_space_module_connects_inside_of_a_space_only() -> None:
    block = without_norm(ConvBlock(1, 16, 8, 4)).double()
    state = torch.randn(2, 9, 24, dtype=torch.float64)
    alone = torch.cat([block(state[:1], (3, 3)), block(state[1:], (3, 3))])
    assert torch.allclose(alone, block(state, (3, 3)))
    assert reached(block, 1, 16, 8).all()


@pytest.mark.parametrize("switch", [{}, {"cross_space": False}])
def test_only_cross_space_modules_let_spaces_depend_on_each_others_projections(
    switch: dict[str, bool], student_features: Callable[..., Features]
) -> None:
    """Each space's own projection must matter to the others with cross-space, and not without it."""
    spec = InteractionSpec(rounds=2, groups=8, token_width=16, **switch)  # type: ignore[arg-type]
    model = InteractionModules(spec, CNN, SPACES)
    for block in model.cross_space:
        without_norm(block)  # type: ignore[arg-type]
    out = model(student_features(32))
    for index, space in enumerate(SPACES):
        summary = out[space.name].summary
        assert summary is not None
        (grad,) = torch.autograd.grad(
            summary.square().sum() + out[space.name].fmap.square().sum(), model.project.weight, retain_graph=True
        )
        used = grad.view(3, 32, 32).abs().amax(dim=(1, 2)) > 0
        assert used.tolist() == ([other == index for other in range(3)] if switch else [True] * 3)


def test_the_image_reaches_every_summary_through_the_model_token(student_features: Callable[..., Features]) -> None:
    features = student_features(32)
    model = InteractionModules(InteractionSpec(rounds=1, groups=8, token_width=16), CNN, SPACES)
    for space in model(features).values():
        (grad,) = torch.autograd.grad(space.summary.sum(), features.maps[-1], retain_graph=True)
        assert (grad.abs().amax(dim=(2, 3)) > 0).all()


@pytest.mark.parametrize(("student", "cls"), [(CNN, False), (VIT, True)])
def test_every_space_has_its_teachers_widths(student: StudentShape, cls: bool, student_features: Callable) -> None:
    spec = InteractionSpec(rounds=2, groups=8, heads=4, token_width=16)
    out = InteractionModules(spec, student, SPACES)(student_features(32, cls=cls))
    for space in SPACES:
        assert out[space.name].summary.shape == (2, space.summary)
        assert out[space.name].fmap.shape == (2, space.features, 3, 3)
        assert (out[space.name].cls is not None) == cls


def test_adapters_are_only_where_widths_differ() -> None:
    spec = InteractionSpec(groups=8, token_width=16)
    equal = InteractionModules(spec, CNN, [SpaceShape("a", 40, 32), SpaceShape("b", 40, 32)])
    assert equal.head[1].out_features == 40
    assert all(isinstance(module, nn.Identity) for module in [*equal.feature_adapters, *equal.summary_adapters])
    mixed = InteractionModules(spec, CNN, SPACES)
    assert mixed.head[1].out_features == 32
    assert [isinstance(module, nn.Linear) for module in mixed.summary_adapters] == [True, False, True]
    assert [isinstance(module, nn.Linear) for module in mixed.feature_adapters] == [True, False, True]


def test_one_head_serves_all_spaces() -> None:
    model = InteractionModules(InteractionSpec(groups=8), CNN, [SpaceShape("a", 40, 32), SpaceShape("b", 40, 32)])
    assert sum(isinstance(module, nn.LayerNorm) for module in model.head) == 1
    assert len(model.intra_space) == len(model.cross_space) == 1


def test_vit_modules_multiply_heads_by_spaces_in_cross_space_only() -> None:
    model = InteractionModules(InteractionSpec(rounds=2, heads=4, token_width=16), VIT, SPACES)
    assert [block.block.attn.num_heads for block in model.cross_space] == [12, 12]
    assert [block.block.attn.num_heads for block in model.intra_space] == [4, 4]
    assert [block.block.mlp.fc1.in_features for block in model.cross_space] == [3 * 48] * 2


@pytest.mark.parametrize("blocks", ["cnn", "vit"])
@pytest.mark.parametrize(
    "switch", [{"model_token": False}, {"cross_space": False}, {"intra_space": False}, {"rounds": 0}]
)
def test_every_switch_of_table_3_takes_its_part_away(
    blocks: str, switch: dict[str, bool], student_features: Callable[..., Features]
) -> None:
    model = InteractionModules(InteractionSpec(blocks=blocks, groups=8, heads=4, **switch), VIT, SPACES)  # type: ignore[arg-type]
    out = model(student_features(32, cls=True))
    names = {name.split(".")[0] for name, _ in model.named_parameters()}
    assert ("model_token" in names) == (switch != {"model_token": False})
    assert ("cross_space" in names) == (switch not in ({"cross_space": False}, {"rounds": 0}))
    assert ("intra_space" in names) == (switch not in ({"intra_space": False}, {"rounds": 0}))
    assert (out["mae"].summary is None) == (switch == {"model_token": False})


@pytest.mark.parametrize("spaces", [1, 2, 3, 4])
@pytest.mark.parametrize(("width", "token_width"), [(24, 12), (12, 24), (24, 0), (18, 30)])
def test_every_group_has_an_equal_share_of_everything(spaces: int, width: int, token_width: int) -> None:
    groups, both = 6, width + token_width
    chunk, channels = chunk_of(width, token_width, groups), torch.arange(spaces * both)
    order = grouped(channels[None], groups, chunk)[:, 0]
    assert sorted(order.flatten().tolist()) == channels.tolist()
    for group in order:
        space, channel = group // both, group % both
        for index in range(spaces):
            inside = channel[space == index]
            assert (inside < width).sum() == width // groups
            assert (inside >= width).sum() == token_width // groups


def test_the_mixing_is_a_grouped_convolution_of_the_channels_in_that_order() -> None:
    """Against torch's own grouped convolution, in float64."""
    block = without_norm(ConvBlock(3, 16, 8, 4)).double()
    tokens = torch.randn(2, 9, 72, dtype=torch.float64)
    order = grouped(torch.arange(72)[None], 4, block.chunk).flatten()
    fmap = nn.functional.gelu(block.depthwise(tokens.transpose(1, 2).unflatten(2, (3, 3))))
    mixed = block.pointwise(fmap[:, order])[:, order.argsort()]
    assert torch.allclose(block(tokens, (3, 3)), tokens + mixed.flatten(2).transpose(1, 2))


def test_the_way_back_from_groups_is_exact() -> None:
    rows = torch.randn(5, 72)
    assert torch.equal(ungrouped(grouped(rows, 4, 3), 3), rows)


def test_errors_name_the_nearest_width_that_fits() -> None:
    with pytest.raises(
        UMTError, match=r"interaction\.width 100 is not divisible by interaction\.groups 32; nearest 96"
    ):
        chunk_of(100, 32, 32)
    with pytest.raises(UMTError, match=r"interaction\.token_width 5 .* nearest 32"):
        chunk_of(64, 5, 32)
    with pytest.raises(UMTError, match=r"interaction\.heads 5 does not divide width \+ token_width 48; nearest 4"):
        AttentionBlock(2, 48, 5, 4.0)
    with pytest.raises(UMTError, match=r"unknown interaction.blocks 'cn'.*cnn"):
        InteractionModules(InteractionSpec(blocks="cn"), CNN, SPACES)


@pytest.mark.parametrize("order", ["after", "before"])
def test_the_model_token_is_pooled_after_its_head_or_before_it(order: str) -> None:
    """LayerNorm of each token and the mean do not commute; the appendix projects first."""
    torch.manual_seed(0)
    spec = InteractionSpec(groups=8, token_width=16, token_pooling=order)
    model = InteractionModules(spec, CNN, [SpaceShape("a", 40, 32), SpaceShape("b", 40, 32)])
    token = torch.randn(2, 9, 2, 16)
    weight, bias = model.head[1].weight, model.head[1].bias
    pooled = token if order == "after" else token.mean(dim=1, keepdim=True)
    centred = pooled - pooled.mean(dim=-1, keepdim=True)
    normed = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
    expected = (normed @ weight.T + bias).mean(dim=1)
    for index, summary in enumerate(model._summaries(token)):
        torch.testing.assert_close(summary, expected[:, index])


def test_an_unknown_order_of_pooling_is_named() -> None:
    with pytest.raises(UMTError, match=r"unknown interaction.token_pooling 'befor'.*before"):
        InteractionModules(InteractionSpec(token_pooling="befor"), CNN, SPACES)


@torch.no_grad()
def test_a_vit_module_is_norm_attention_norm_ffn() -> None:
    """Paper, section A.2, written out: x + attention(norm(x)), then x + FFN(norm(x)), all spaces in one token."""
    torch.manual_seed(0)
    spaces, width, heads = 2, 12, 3
    module = AttentionBlock(spaces, width, heads, ffn_ratio=2.0).double().eval()
    tokens = torch.randn(2, 5, spaces * width, dtype=torch.float64)
    block = module.block
    q, k, v = block.attn.qkv(block.norm1(tokens)).unflatten(2, (3, spaces * heads, -1)).permute(2, 0, 3, 1, 4)
    weights = (q @ k.transpose(2, 3) / (width / heads) ** 0.5).softmax(dim=3)
    attended = tokens + block.attn.proj((weights @ v).transpose(1, 2).flatten(2))
    hidden = nn.functional.gelu(block.mlp.fc1(block.norm2(attended)))
    assert hidden.shape[2] == 2 * spaces * width
    torch.testing.assert_close(module(tokens, (1, 5)), attended + block.mlp.fc2(hidden))


@torch.no_grad()
def test_modules_take_turns_and_cross_space_comes_first(student_features: Callable[..., Features]) -> None:
    """Paper, equations 2 and 3: in each round the cross-space module, then the intra-space module."""
    spec = InteractionSpec(rounds=2, groups=8)
    modules = InteractionModules(spec, CNN, SPACES)
    called: list[str] = []
    for kind in ("cross_space", "intra_space"):
        for index, module in enumerate(getattr(modules, kind)):
            module.register_forward_hook(lambda *_, name=f"{kind} {index}": called.append(name))
    modules(student_features(CNN.width))
    assert called == ["cross_space 0", "intra_space 0", "cross_space 1", "intra_space 1"]


@torch.no_grad()
@pytest.mark.parametrize("grid", [(3, 5), (2, 2), (1, 1), (1, 4), (5, 2)])  # maps smaller than the kernel, too
def test_a_cnn_module_is_norm_depthwise_gelu_pointwise_and_residual(grid: tuple[int, int]) -> None:
    """Paper, section A.2, by torch's own convolutions; groups take turns in the channels."""
    torch.manual_seed(0)
    spaces, width, token_width, groups = 2, 8, 4, 4
    module = ConvBlock(spaces, width, token_width, groups).double().eval()
    nn.init.normal_(module.norm.weight)
    channels, chunk = spaces * (width + token_width), 1  # 8 and 4 channels over 4 groups: one at a time
    tokens = torch.randn(2, grid[0] * grid[1], channels, dtype=torch.float64)
    order = [
        (turn * groups + group) * chunk + place
        for group in range(groups)
        for turn in range(channels // groups // chunk)
        for place in range(chunk)
    ]
    fmap = nn.functional.layer_norm(tokens, (channels,), module.norm.weight, module.norm.bias, 1e-5)
    fmap = module.depthwise(fmap.transpose(1, 2).reshape(2, channels, *grid))
    mixed = torch.empty_like(fmap)
    mixed[:, order] = module.pointwise(nn.functional.gelu(fmap)[:, order])
    torch.testing.assert_close(module(tokens, grid), tokens + mixed.flatten(2).transpose(1, 2))
