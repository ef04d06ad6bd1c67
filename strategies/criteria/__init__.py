"""One importance score a function. Low is pruned first."""

from strategies.criteria.activations import activation, actvar
from strategies.criteria.builtin import bnscale, l1, random, rownorm
from strategies.criteria.content_aware import content
from strategies.criteria.controls import shuffled, shuffledfilters
from strategies.criteria.flow import synflow
from strategies.criteria.geometry import fpgm
from strategies.criteria.guided import dguided
from strategies.criteria.latent_moves import diversity
from strategies.criteria.loss import fisher, grad, grasp, snip, taylor
from strategies.criteria.magnitude import l2
from strategies.criteria.obc import obc
from strategies.criteria.one_layer import sensitivity
from strategies.criteria.osscar import osscar
from strategies.criteria.ranks import hybrid
from strategies.criteria.read import ria, wanda
from strategies.criteria.reconstruction import reconstruct
from strategies.criteria.registry import CRITERIA, criterion
from strategies.criteria.structure import removal, unlike

__all__ = [
    "CRITERIA", "activation", "actvar", "bnscale", "content", "criterion", "dguided", "diversity", "fisher", "fpgm",
    "grad", "grasp", "hybrid", "l1", "l2", "obc", "osscar", "random", "reconstruct", "removal", "ria", "rownorm",
    "sensitivity", "shuffled", "shuffledfilters", "snip", "synflow", "taylor", "unlike", "wanda",
]  # fmt: skip
