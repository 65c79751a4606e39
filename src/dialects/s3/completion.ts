/** The document that completes an upload: its parts as the client knows them. */
import { CHECKSUM_ALGORITHMS, PARTS_MAX } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { ListedPart } from '../../services/multipart/complete.ts'
import { allowOnly, getChild, getText, integerOf, malformed, parseXml, textOf, type XmlElement } from './xml-parse.ts'

const CHECKSUMS = new Map(CHECKSUM_ALGORITHMS.map((algorithm) => [`Checksum${algorithm}`, algorithm]))

/** Throws MalformedXML; InvalidArgument for a number that no part can have. */
export function readCompletion(document: Buffer): ListedPart[] {
  const root = parseXml(document, 'CompleteMultipartUpload')
  allowOnly(root, ['Part'])
  const { children } = root
  if (children.length === 0 || children.length > PARTS_MAX) throw malformed(`${children.length} parts`)
  return children.map(readPart)
}

function readPart(element: XmlElement): ListedPart {
  allowOnly(element, ['PartNumber', 'ETag', ...CHECKSUMS.keys()])
  const number = integerOf(getChild(element, 'PartNumber'))
  if (number < 1 || number > PARTS_MAX) {
    throw new S3Error('InvalidArgument', `PartNumber must be an integer between 1 and ${PARTS_MAX}`, {
      elements: { ArgumentName: 'partNumber', ArgumentValue: String(number) },
    })
  }
  const checksums: ListedPart['checksums'] = {}
  for (const child of element.children) {
    const algorithm = CHECKSUMS.get(child.name)
    if (algorithm) checksums[algorithm] = textOf(child).trim()
  }
  return {
    number,
    etag: getText(element, 'ETag')
      .trim()
      .replace(/^"(.*)"$/, '$1'),
    checksums,
  }
}
