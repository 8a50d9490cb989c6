"""Are new rows copies of real ones? Neighbours, copies, membership inference, singling out."""

from augsynth.check.finding import Check
from augsynth.check.privacy.closer import CloserShare, closer_share
from augsynth.check.privacy.copies import Copies
from augsynth.check.privacy.holdout_leak import HoldoutLeak, leaked, withdrawn
from augsynth.check.privacy.identifiers import Identifiers
from augsynth.check.privacy.membership import Membership
from augsynth.check.privacy.near_copies import NearCopies
from augsynth.check.privacy.rates import auc_interval, hit_rate
from augsynth.check.privacy.shadow import ShadowAttack, shadow_attack
from augsynth.check.privacy.singling_out import SinglingOut, singling_out_risk

__all__ = [
    "CHECKS",
    "WHAT_IT_PROVES",
    "ShadowAttack",
    "auc_interval",
    "closer_share",
    "hit_rate",
    "leaked",
    "shadow_attack",
    "singling_out_risk",
    "withdrawn",
]

WHAT_IT_PROVES = (
    "These tests look for training rows in the new rows: as copies, as near copies, in disguise, through "
    "attacks that guess who was among the training rows, and through conditions that single out one person. "
    "Each is calibrated on real rows that the generator has not seen. Where none fails, no leak was found by "
    "these tests; that is no proof that there is none. An attacker who knows more, who may ask the generator "
    "again and again, or who has an attack that is not among these may still succeed. A small share of "
    "copied rows leaves average distances as they were, and distances to the closest record alone prove "
    "nothing (Yao et al. 2025, arXiv:2505.01524). The figures themselves are made from the training rows: "
    "whoever may ask for them as often as they like can rebuild rows from them (Ganev and De Cristofaro "
    "2023, arXiv:2312.05114), so do not offer them to outsiders as a service. A guarantee needs a generator "
    "that was trained with differential privacy."
)

CHECKS: tuple[type[Check], ...] = (
    HoldoutLeak,
    Copies,
    NearCopies,
    CloserShare,
    Membership,
    SinglingOut,
    Identifiers,
)
