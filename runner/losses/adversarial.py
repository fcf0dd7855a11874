"""Adversarial games: the loss of each player, per example, from the logits of the discriminator.

With r the logit of a real example, f of a generated one, and D the sigmoid of a logit:

    game            generator       discriminator
    minimax         log(1 - D(f))   -log D(r) - log(1 - D(f))
    non_saturating  -log D(f)       -log D(r) - log(1 - D(f))
    least_squares   (f - 1)^2 / 2   (r - 1)^2 / 2 + f^2 / 2
    hinge           -f              max(0, 1 - r) + max(0, 1 + f)
    wasserstein     -f              f - r

The last needs a Lipschitz discriminator, which a gradient penalty encourages.

Source:
    minimax, non_saturating: Goodfellow et al. 2014, equation 1 and section 3.
    least_squares: Mao et al. 2017, equation 9.
    hinge: Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.
    wasserstein: Arjovsky et al. 2017, equations 2 and 3; the bound on the weights is left to the scenario.
"""

import jax
import jax.numpy as jnp
from jax.nn import relu, softplus

from runner.core import AdversarialLoss


def _cross_entropy(real: jax.Array, fake: jax.Array) -> jax.Array:
    return softplus(-real) + softplus(fake)  # -log D is softplus(-logit), which overflows for no logit


#: The generator minimizes log(1 - D(f)), where D(f) is the probability that its x is real (Goodfellow et al. 2014).
minimax = AdversarialLoss(generator=lambda fake: -softplus(fake), discriminator=_cross_entropy)
#: The generator minimizes -log D(f), whose gradient does not vanish (Goodfellow et al. 2014, section 3).
non_saturating = AdversarialLoss(generator=lambda fake: softplus(-fake), discriminator=_cross_entropy)
#: Squared distances of the logits from 1 for real x and 0 for generated x (Mao et al. 2017).
least_squares = AdversarialLoss(
    generator=lambda fake: 0.5 * jnp.square(fake - 1),
    discriminator=lambda real, fake: 0.5 * (jnp.square(real - 1) + jnp.square(fake)),
)
#: Hinge losses of the logits (Lim and Ye 2017).
hinge = AdversarialLoss(
    generator=lambda fake: -fake,
    discriminator=lambda real, fake: relu(1 - real) + relu(1 + fake),
)
#: Differences of logits, for a Lipschitz discriminator (Arjovsky et al. 2017).
wasserstein = AdversarialLoss(generator=lambda fake: -fake, discriminator=lambda real, fake: fake - real)
