variable "WHO" {
  default = "world"
}
variable "BASES" {}

group "default" {
  targets = ["app", "tool"]
}

# Others take it as a context, so it is built first; it has no output of its own.
target "base" {
  dockerfile = "base.Dockerfile"
  contexts = {
    busybox = "oci-layout://${BASES}/busybox"
  }
}

target "app" {
  dockerfile = "app.Dockerfile"
  contexts = {
    base = "target:base"
  }
  args = {
    WHO = WHO
  }
  labels = {
    "example.who" = WHO
  }
  output = ["type=tar,dest=app.tar"]
}

target "tool" {
  name   = "tool-${n}"
  matrix = { n = ["one", "two"] }
  contexts = {
    base = "target:base"
  }
  dockerfile-inline = <<-EOT
    FROM base
    ARG N
    RUN echo "$N" >/number
  EOT
  args = {
    N = n
  }
  output = [{ type = "local", dest = "out/${n}" }]
}

target "bad" {
  contexts = {
    base = "target:base"
  }
  dockerfile-inline = "FROM base\nRUN exit 7\n"
}

target "outside" {
  dockerfile-inline = "FROM scratch\nCOPY docker-bake.hcl /\n"
  output            = ["../elsewhere"]
}
