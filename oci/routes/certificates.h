// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "oci/routes/route.h"

namespace cbuild::oci::routes {

/// The text of a certificate or key. Throws Error{input} if the file does not exist.
std::string read_certificate(const std::string& path);
/// Reads both files, as libcurl opens them by itself and would wait for the writer of a FIFO. Throws as above.
ClientPair checked_pair(std::string certificate, std::string key);

/// A directory of certs.d: each NAME.crt is an authority, each NAME.cert with NAME.key a pair for clients, in the order
/// of their names. What is found is added. A directory that does not exist has nothing. Throws Error{input} for a
/// certificate without its key.
void read_certificate_directory(const std::string& path, std::string& authorities, std::vector<ClientPair>& clients);

}  // namespace cbuild::oci::routes
