"""Which edits change what a picture says? A six that is turned far enough is a nine.

A model learns to read originals, then reads edited copies of pictures it never saw. Where it
read the original rightly and the copy as another digit, the edit may have changed the label.
"""

import numpy as np
from sklearn.datasets import load_digits

from augsynth.check import label_preservation
from augsynth.perturb.geometry import FlipLeftRight
from augsynth.perturb.image_policies import image_medium, image_weak
from augsynth.perturb.warps import Rotate

digits = load_digits()
rows = np.arange(900)
X, y = (digits.images[rows] * 15).astype(np.uint8), digits.target[rows]  # 0 to 16 become bytes

policies = {
    "weak": image_weak(),
    "medium, nothing mirrored": image_medium(flip=0),
    "mirrored": FlipLeftRight(),
    "turned by 15 degrees": Rotate((-15, 15)),
    "turned by half": Rotate((170, 190)),
}
found = label_preservation(X, y, policies, copies=1, cv=3, random_state=0)
print(found)

print("\nWhat to do with each:")
for name, verdict in found.verdicts.items():
    print(f"  {name}: {verdict}")

classes = found.to_frame("class").loc["turned by half"]
print("\nHalf a turn, digit by digit: share of the rightly read that is read otherwise, and as what.")
print(classes[["lost", "into", "verdict"]].round(2).to_string())
found.contact_sheet("copies.png")
print("copies.png shows originals and copies, policy by policy")
