"""The evaluation protocols of person search, literally as the text describes them: slow loops, nothing shared."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(0.0, width) * max(0.0, height)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union > 0 else 0.0


def unit(rows):
    rows = np.asarray(rows, np.float32)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def search(protocol, predictions, variant="official", threshold=0.5, queries=None):
    """(mAP, top-1, top-5, top-10, AP of each query), of all queries or of those chosen."""
    images = {}
    features = unit(predictions.gallery_feature)
    for i, name in enumerate(predictions.gallery_image):
        if predictions.gallery_score[i] >= threshold:
            images.setdefault(str(name), []).append(i)
    probes = unit(predictions.query_feature)
    precisions, tops = [], []
    for q in range(len(protocol.queries)) if queries is None else queries:
        y_true, y_score, looked_at = [], [], set()
        count_gt = count_tp = 0
        for entry in protocol.gallery(q):
            count_gt += entry.box is not None
            if entry.image not in images:
                continue
            if variant == "seqnet" and entry.image in looked_at:
                continue
            looked_at.add(entry.image)
            detections = images[entry.image]
            similarity = np.array([np.dot(features[d], probes[q]) for d in detections])
            label = np.zeros(len(detections))
            if entry.box is not None:
                w, h = float(entry.box[2] - entry.box[0]), float(entry.box[3] - entry.box[1])
                needed = min(0.5, (w * h) / ((w + 10) * (h + 10)))
                for j in np.argsort(-similarity, kind="stable"):
                    if overlap(predictions.gallery_box[detections[j]].astype(float), entry.box.astype(float)) >= needed:
                        label[j] = 1
                        count_tp += 1
                        break
            y_true += list(label)
            y_score += list(similarity)
        if count_tp == 0:
            precisions.append(0.0)
        else:
            precisions.append(average_precision_score(y_true, y_score) * count_tp / count_gt)
        # Among equal scores a miss stands before a hit.
        order = sorted(range(len(y_true)), key=lambda i: (-y_score[i], y_true[i]))
        tops.append([any(y_true[i] for i in order[:k]) for k in (1, 5, 10)])
    return np.mean(precisions), *np.mean(np.reshape(tops, (-1, 3)), axis=0), np.array(precisions)


def prw(frames, queries, predictions, *, cross_camera=False, threshold=0.5):
    """AP of each PRW query, from rows as stored.

    frames: {name: [(id, x, y, w, h), ...]}; queries: lines `id x y w h frame`; names without `.jpg`.
    """
    features, probes = unit(predictions.gallery_feature), unit(predictions.query_feature)
    precisions, ranks = [], []
    for q, line in enumerate(queries):
        identity, own = int(line.split()[0]), line.split()[5]
        y_true, y_score = [], []
        count_gt = count_tp = 0
        for name, rows in frames.items():
            if name == own or (cross_camera and name[1] == own[1]):
                continue
            truth = None
            for number, x, y, w, h in rows:
                if number == identity and truth is None:
                    truth = [max(int(x), 0), max(int(y), 0), max(int(x + w), 0), max(int(y + h), 0)]
            count_gt += truth is not None
            found = [
                (float(np.dot(features[d], probes[q])), d)
                for d in range(len(features))
                if str(predictions.gallery_image[d]) == f"{name}.jpg" and predictions.gallery_score[d] >= threshold
            ]
            hit = False
            for similarity, d in sorted(found, key=lambda pair: -pair[0]):
                label = 0
                if truth is not None and not hit:
                    w, h = truth[2] - truth[0], truth[3] - truth[1]
                    needed = min(0.5, (w * h) / ((w + 10) * (h + 10)))
                    hit = overlap(predictions.gallery_box[d].astype(float), [float(side) for side in truth]) >= needed
                    label = int(hit)
                y_true.append(label)
                y_score.append(similarity)
            count_tp += hit
        precisions.append(average_precision_score(y_true, y_score) * count_tp / count_gt if count_tp else 0.0)
        order = sorted(range(len(y_true)), key=lambda i: (-y_score[i], y_true[i]))
        ranks.append(next((rank for rank, i in enumerate(order, start=1) if y_true[i]), 0))
    return np.array(precisions), np.array(ranks)


def detection(images, predictions, threshold=0.5):
    """(AP, recall)."""
    y_true, y_score = [], []
    count_gt = count_tp = 0
    for image in images:
        detections = [
            i
            for i, name in enumerate(predictions.gallery_image)
            if name == image.name and predictions.gallery_score[i] >= threshold
        ]
        count_gt += len(image.boxes)
        if not detections:
            continue
        ious = np.zeros((len(image.boxes), len(detections)))
        for g, box in enumerate(image.boxes):
            for d, row in enumerate(detections):
                ious[g, d] = overlap(predictions.gallery_box[row].astype(float), box.astype(float))
        match = ious >= 0.5
        for d in range(len(detections)):
            for g in range(len(image.boxes)):
                if g != np.argmax(ious[:, d]):
                    match[g, d] = False
        for g in range(len(image.boxes)):
            for d in range(len(detections)):
                if d != np.argmax(ious[g]):
                    match[g, d] = False
        for d, row in enumerate(detections):
            y_score.append(predictions.gallery_score[row])
            y_true.append(bool(match[:, d].any()))
        count_tp += match.sum()
    recall = count_tp / count_gt if count_gt else 0.0
    return (average_precision_score(y_true, y_score) * recall if any(y_true) else 0.0), recall
