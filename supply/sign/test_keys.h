// SPDX-License-Identifier: Apache-2.0
#pragma once

/// For tests: keys made by openssl 3.0, and its signatures of "payload" by them (openssl dgst, pkeyutl), in base64.
namespace cbuild::supply::testing {

inline constexpr char kEcPrivate[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDL3cJd1p0mzfB1Tk\n"
    "9tIQKv8s41y4NoJag2MXO/OwTJihRANCAASGcIQIXd7K0wIUIoQgW8taURVqEAhP\n"
    "v5Q/N1IpWTKGZeKPgANo6j2c0ySc9LiZ58+01YZ/UWBf5jEg/5woRDya\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr char kEcOldPrivate[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIAy93CXdadJs3wdU5PbSECr/LONcuDaCWoNjFzvzsEyYoAoGCCqGSM49\n"
    "AwEHoUQDQgAEhnCECF3eytMCFCKEIFvLWlEVahAIT7+UPzdSKVkyhmXij4ADaOo9\n"
    "nNMknPS4mefPtNWGf1FgX+YxIP+cKEQ8mg==\n"
    "-----END EC PRIVATE KEY-----\n";
inline constexpr char kEcPublic[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhnCECF3eytMCFCKEIFvLWlEVahAI\n"
    "T7+UPzdSKVkyhmXij4ADaOo9nNMknPS4mefPtNWGf1FgX+YxIP+cKEQ8mg==\n"
    "-----END PUBLIC KEY-----\n";
inline constexpr char kEcSignature[] =
    "MEQCIEYbKaHtUFIR/q0+YAlD1AoOgjGpKfm4gafgqUeMmnSMAiAfc14lYlXSIJAX+YokYOvJisD5pwUlkVbMlHYNbZ4wdQ==";
inline constexpr char kEdPrivate[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEICNXRHtfxOOtAiW/GoSHKi5fG93BDHUfvYTfcO95pEfQ\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr char kEdPublic[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA8hgLX3ALlI7KruR7wOcsg6nKJ/jy/on0Z9Ot+YMbVPw=\n"
    "-----END PUBLIC KEY-----\n";
inline constexpr char kEdSignature[] =
    "l7SzaQhN1nTkzlARIDIROjlS6DzeT/PG2IVN1dV+4UyNnybLZ1FNmsNOc51FvYG7zO58GUFnwuQVN4/Xf5gWDQ==";
inline constexpr char kRsaPrivate[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvwIBADANBgkqhkiG9w0BAQEFAASCBKkwggSlAgEAAoIBAQDQO/dSRrrn15DA\n"
    "tzZZGwL3fftO0Ho98T995+aQldQQSLCEbzWwX3w3JrHV5X2pNemD1AwkX980MWWa\n"
    "fZOzwfxIB6mMVfh/SvT2GCs9rTxrPv/EQkF6D4hGAnQdH78OTIUQPaQgZMOYtflE\n"
    "2LuQJoNMByayquPcme0AFegUHcppze+6dCejrXJIURxCXsfa4dSeaDG+JYb6TAzS\n"
    "+48OGccwVz694WXzhLKe07za952TNEGQtnYB/KrMJEKmkBN+wzLC1w1ud8rR8hFP\n"
    "6qftr3Fd3uI29LcSIusYwH2gQFcmWBolsfoHIq+PCZzbBphD54V/qLaIDSToTHMJ\n"
    "zgeFQs3FAgMBAAECggEADK7mWsbPmhD1cmOGZimAxgHQpYWJuI2h7CGMl9hkZQSE\n"
    "aeCbMM20E2jiMpDKlVyhB0RKZAnJ3tQ2Z9FHxo5ldx6uW0ueOeSfJIEm2xga4r5g\n"
    "1juh4NUi2/7Iw0BcgvqyrSFQBqAUkM/eqayYyggqfZ4+42mIvPZMKvHqo5UH7+c8\n"
    "wZU4vKZu9eRLFkJDpQSngHehiJsZjpnVb9aLhCVNSVwhlFoi5My9LGcEz3bP8L5S\n"
    "dlrSB/JdSwDxmzrlpCLeWpKv0CEUKMh+UAhHJSFisN09O+kU0yoUBDxP0N+OGG3e\n"
    "/3sTiZ4e4RGhkmiveBU8SXQfivpNbySScaSsyK7EIQKBgQD5gqYp6ApFCdc5Zzbh\n"
    "iehLBPk0HZYvr8XZKTRLsehaD2etuRrPsnjRl+9/vsiTzPOcb6+VTl/pjvGmp6p0\n"
    "GDvvmUk81607bFK+I2mYZRRbZjP1i8QCa3D1P0ODurLjk/OrCnbyocu/fPvlW4nH\n"
    "m1DSJ6IFjHTxH4eYJT6SGGpC4QKBgQDVpnt7Ae51/046vvqxTxRoWuFKWKSfWMz4\n"
    "J0lREnwUobwWkz9trbGpo78sMkDfgfeFY2K49FxNdOnYH+SOg/sBdmn0xXyKb4FF\n"
    "1SqNB8MZivfL97pZuleFsbSC62F9pEFbu1010K/XYiuPs4vk2+nXIjFfIKQObkML\n"
    "tzou+A7LZQKBgQC0uuT/b9uYfHNQWioPnmQLixOzo0a5TfnivgzqU3i5W3U/CdiY\n"
    "327SatqJTrldDdTb2K53WOjydZ8ml0ZJh5BKkl7RWmxZobIhlecUAwuG1PYIA3A8\n"
    "THTqwCN4VJDldbLHjvHv+DBsiOyxCug3FJKrVxfuKvo9+heupjO3gUXfIQKBgQDG\n"
    "ik1Zg/P7h2NFSFBjER/f0gRmOHXS9oyTVr7VLh5Mdff56qAY5j6hbF+tTI3opjhE\n"
    "ppUJV1unRyxAAXM91Pwe4dGY+yS+6Nvy7yL5p+rwA6o+y1lLJNVMklUzDFWukkOC\n"
    "YV0/M00VFE9y3OD1rj9iAo5q3kRWfLSlYIIbP71P2QKBgQDuO4JiABuGh3QeMZ58\n"
    "yXhzFVv565wSI77d+u48wIchosD9Q4rBvHLgpivEUr1MJeeqPdbOZRU4QXOxJVuu\n"
    "ekVLc9vq7RrnZJ26dimVBRNWrfThSIs0R8Kr4F22QqeDJgUjH3uewdCGe3ymJz2y\n"
    "lAFkTWRLR+JcR1GDV4cqOX0tEA==\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr char kRsaPublic[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0Dv3Uka659eQwLc2WRsC\n"
    "9337TtB6PfE/fefmkJXUEEiwhG81sF98Nyax1eV9qTXpg9QMJF/fNDFlmn2Ts8H8\n"
    "SAepjFX4f0r09hgrPa08az7/xEJBeg+IRgJ0HR+/DkyFED2kIGTDmLX5RNi7kCaD\n"
    "TAcmsqrj3JntABXoFB3Kac3vunQno61ySFEcQl7H2uHUnmgxviWG+kwM0vuPDhnH\n"
    "MFc+veFl84SyntO82vedkzRBkLZ2AfyqzCRCppATfsMywtcNbnfK0fIRT+qn7a9x\n"
    "Xd7iNvS3EiLrGMB9oEBXJlgaJbH6ByKvjwmc2waYQ+eFf6i2iA0k6ExzCc4HhULN\n"
    "xQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
inline constexpr char kRsaSignature[] =
    "DuC/0djaygjxz0Oc5YzDdNMLGIo3Q6kxqEQKzZ4F6lqgs2zWAgXTKXELQ1UUuHEhKXNT+ujn5bXbfKHkF7RGqaQDVTgWQ02Qawpj"
    "e5bdB0qAg6M37T1Day+qeEQlpteqFlGQAsKFYvsqhD9aG2UGLuG7nOLvEuiM8BH5/+vy7OQYawxkQKQbuvOjr4shBR/AfF1L+Q6e"
    "U+BxJpjUwry1AdEtMVZ7I3dJwqkN8PGGZZGOCOivEu4hioLyIeft3AFo2puh7A7ki4f3gZprNe0QzH/cO6XFQwaT+5f9aan3f8rs"
    "4k8S0DtSmbf/QUcbZ4uJeXepYcqbTzvJ4I5nyr+lLQ==";
/// Of a kind that does not sign.
inline constexpr char kX25519Private[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VuBCIEIKCDFjqEtH6TqVXwZbRuo07WGg4H0+7mXrV7MQUc/X1a\n"
    "-----END PRIVATE KEY-----\n";

/// kEcPrivate as cosign keeps it (go-securesystemslib), and as openssl pkcs8 does; the password is "correct horse".
inline constexpr char kEcCosignPrivate[] =
    "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
    "eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6\n"
    "OCwicCI6MX0sInNhbHQiOiJEYXZmL09pVU5KamFDSE02WnY0M2xzL0pveWVTb1Z2\n"
    "eGxMNnlGa2xNNkRFPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94\n"
    "Iiwibm9uY2UiOiIwOFE2QVMzc0Z6VjBhMTlyRGVOSkxZMWdYSXpMSkhCQiJ9LCJj\n"
    "aXBoZXJ0ZXh0IjoibFR0WWIwZXlEQ0NySER5bUpjWWVqN29idUc2MzVuVHdDMlcz\n"
    "RlJQNXNxci8xVExSRHMxUi80NFNSYlR4cmNEcGZVNnRFdmkvaGp5cWc2R1gyUmw2\n"
    "Rm1KMzdSeW8vUlBEOWtrVE9jMEtaOWx3VXc5YmRxQ3EyNjFEWmlHMkJBS2tyR1I5\n"
    "eTNSWStHbDVvdnI5dTF2Qks3Z2JmTXJGZFAxQms4Q1BIcTdHVGpiMTByT1lZcnNz\n"
    "ZG4zTlB2ZlZBZk51QTZjVlFEbGV3TFRNUlE9PSJ9\n"
    "-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
inline constexpr char kEcEncryptedPrivate[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAixn9xRw2lUQwICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJ3n6Kc5ddlbDnvJiSJ6e5oEgZBv\n"
    "P5cgIYFSPchHdW01Biq7E5MyPNyoqYQbcWtThiQlABEqAxJsMuCzV29y0IJNgNhE\n"
    "yhm/3z29QWxEPTuIOkiKdQ17J76DE0axl5KM/+/MrhpsbR6mPjmPvcMi3zdiMd8Z\n"
    "nGVDVfaEPjgnfXfBgpvcQpm1mWeNLhIkoDy1NjoFliyeyK/Pz4VMAKUP0zti8+0=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";
inline constexpr char kKeyPassword[] = "correct horse";

}  // namespace cbuild::supply::testing
