"""Refractive indices of lenses and liquid crystals, and what their dispersion does to a lens.

    n² = 1 + Σ_j B_j λ² / (λ² − C_j)   (Sellmeier)        n = A + B / λ² + C / λ⁴   (Cauchy),   λ in µm, in vacuum

| name | material | from, to, µm | source |
| --- | --- | --- | --- |
| `N-BK7` | crown of lenses | 0.3, 2.5 | Schott, data sheet N-BK7 (2014) |
| `fused silica` | lenses and windows | 0.21, 3.71 | I. H. Malitson, J. Opt. Soc. Am. 55, 1205 (1965) |
| `silicon` | infrared lenses | 1.357, 11.04 | B. Tatian, Appl. Opt. 23, 4477 (1984) [1] |
"""
